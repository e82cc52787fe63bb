package gradflow

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	mlmodel "github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"
	"github.com/pkg/errors"
	"gonum.org/v1/gonum/mat"
)

// output stands for the model's output among the targets of a probe, the others being layers.
const output = -1

// probes returns the function of a graph that takes a probe v [batch, size] for each target y(x) and returns the gradient of <v, y> with
// respect to x, [batch, size of x]: with a unit vector as probe, one row of the Jacobian.
func (m *Meter) probeGraph(targets []int) func(scope *mlmodel.Scope, args []*graph.Node) []*graph.Node {
	return func(scope *mlmodel.Scope, args []*graph.Node) []*graph.Node {
		inputs, probes := args[:m.inputs], args[m.inputs:]
		g := inputs[0].Graph()
		m.store.SetTraining(g, !m.options.Inference)
		predictions := m.model(scope, nil, inputs)
		taps := Taps(g)
		var rows []*graph.Node
		for i, target := range targets {
			var x, y *graph.Node
			switch {
			case target == output:
				x, y = firstFloat(inputs), predictions[0]
			case taps[target].X != nil:
				x, y = taps[target].X, taps[target].H
			case target == 0:
				x, y = firstFloat(inputs), taps[0].H
			default:
				x, y = taps[target-1].H, taps[target].H
			}
			if x == nil {
				exceptions.Panicf("no input of the model is floating point, so that there is nothing to differentiate with respect to; "+
					"give the first tap its input with gradflow.Input (target %d)", target)
			}
			v := graph.ConvertDType(graph.Reshape(probes[i], y.Shape().Dimensions...), y.DType())
			row := graph.Gradient(graph.ReduceAllSum(graph.Mul(v, y)), x)[0]
			rows = append(rows, wide(matrix(row, true)))
		}
		m.restore(scope, g)
		return rows
	}
}

// byAutodiff takes the Jacobians of the targets row by row.
func (m *Meter) byAutodiff(r *Report, l *layout, inputs []*tensors.Tensor, targets []int) (err error) {
	if m.probes == nil {
		if m.probes, err = mlmodel.NewExec(m.backend, m.store, m.probeGraph(targets)); err != nil {
			return err
		}
		m.probes.SetMaxCache(-1)
	}
	sizes := make([]int, len(targets))
	for i, target := range targets {
		sizes[i] = l.outputs
		if target != output {
			sizes[i] = 1
			for _, d := range r.Layers[target].Shape[1:] {
				sizes[i] *= d
			}
		}
	}
	p := probing{meter: m, inputs: inputs, batch: r.Batch, sizes: sizes}
	if err := p.findCoupling(m.options.Seed); err != nil {
		return err
	}
	examples := m.options.SingularValues
	if m.options.InputJacobian > 0 && m.options.Probes == 0 {
		examples = max(examples, m.options.InputJacobian)
	}
	jacobians, err := p.jacobians(examples, func(target int) int {
		if targets[target] == output {
			return m.options.InputJacobian * boolInt(m.options.Probes == 0)
		}
		return m.options.SingularValues
	})
	if err != nil {
		return err
	}
	for i, target := range targets {
		switch {
		case target != output:
			n := m.options.SingularValues
			s := &Spectrum{Examples: n, Method: "autodiff rows"}
			for e := range n {
				if e == 0 {
					rows, cols := jacobians[i][e].Dims()
					s.Values = make([]float64, min(rows, cols))
				}
				if err := s.add(jacobians[i][e]); err != nil {
					return errors.WithMessagef(err, "layer %q, example %d", r.Layers[target].Name, e)
				}
			}
			r.Layers[target].SingularValues = s
		case m.options.Probes == 0:
			sum := 0.0
			for _, j := range jacobians[i] {
				norm := mat.Norm(j, 2)
				sum += norm * norm
			}
			n := m.options.InputJacobian
			r.InputJacobian = &JacobianNorm{Norm: math.Sqrt(sum / float64(n)), Examples: n, Method: "exact"}
		default:
			if r.InputJacobian, err = p.hutchinson(i, m.options); err != nil {
				return err
			}
		}
	}
	return nil
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// probing runs the graph of probes on one batch.
type probing struct {
	meter   *Meter
	inputs  []*tensors.Tensor
	batch   int
	sizes   []int // entries of each target's y per example
	coupled bool  // an example's y depends on other examples' x, as under batch normalisation
}

// run returns, for each target, the gradients [batch][size of x] of the probes that fill sets: fill writes target k's probe for example e into v.
func (p *probing) run(fill func(k, e int, v []float64)) ([][]float64, error) {
	args := make([]any, 0, len(p.inputs)+len(p.sizes))
	for _, t := range p.inputs {
		args = append(args, t)
	}
	for k, size := range p.sizes {
		v := make([]float64, p.batch*size)
		for e := range p.batch {
			fill(k, e, v[e*size:(e+1)*size])
		}
		args = append(args, tensors.FromFlatDataAndDimensions(v, p.batch, size))
	}
	results, err := p.meter.probes.Call(args...)
	if err != nil {
		return nil, err
	}
	rows := make([][]float64, len(results))
	for k, t := range results {
		rows[k] = tensors.MustCopyFlatData[float64](t)
		if err := t.FinalizeAll(); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// findCoupling probes the first example in a random direction, to see whether other examples feel it.
func (p *probing) findCoupling(seed uint64) error {
	rng := rand.New(rand.NewPCG(seed, 1))
	rows, err := p.run(func(_, e int, v []float64) {
		for i := range v {
			if e == 0 {
				v[i] = rng.NormFloat64()
			}
		}
	})
	for _, row := range rows {
		for _, v := range row[len(row)/p.batch:] {
			p.coupled = p.coupled || v != 0
		}
	}
	return err
}

// jacobians returns the Jacobians [size of y, size of x] of the first examples, for each target as many as wanted says. Examples that do not
// feel each other are probed together.
func (p *probing) jacobians(examples int, wanted func(target int) int) ([][]*mat.Dense, error) {
	found := make([][]*mat.Dense, len(p.sizes))
	longest := 0
	for k, size := range p.sizes {
		if wanted(k) > 0 {
			longest = max(longest, size)
		}
		found[k] = make([]*mat.Dense, wanted(k))
	}
	rounds := 1
	if p.coupled {
		rounds = examples
	}
	for round := range rounds {
		for unit := range longest {
			rows, err := p.run(func(k, e int, v []float64) {
				if unit < len(v) && (!p.coupled || e == round) {
					v[unit] = 1
				}
			})
			if err != nil {
				return nil, err
			}
			for k := range found {
				if unit >= p.sizes[k] {
					continue
				}
				width := len(rows[k]) / p.batch
				for e := range found[k] {
					if p.coupled && e != round {
						continue
					}
					if found[k][e] == nil {
						found[k][e] = mat.NewDense(p.sizes[k], width, nil)
					}
					found[k][e].SetRow(unit, rows[k][e*width:(e+1)*width])
				}
			}
		}
	}
	return found, nil
}

// hutchinson estimates the mean of the squared norm of J as that of |J^T v|^2 over vectors v of random signs (Hutchinson 1990).
func (p *probing) hutchinson(target int, o Options) (*JacobianNorm, error) {
	rng := rand.New(rand.NewPCG(o.Seed, 2))
	sum := 0.0
	rounds := 1
	if p.coupled {
		rounds = o.InputJacobian
	}
	for range o.Probes {
		for round := range rounds {
			rows, err := p.run(func(k, e int, v []float64) {
				if k != target || e >= o.InputJacobian || p.coupled && e != round {
					return
				}
				for i := range v {
					v[i] = float64(rng.IntN(2)*2 - 1)
				}
			})
			if err != nil {
				return nil, err
			}
			width := len(rows[target]) / p.batch
			first, end := 0, o.InputJacobian
			if p.coupled {
				first, end = round, round+1
			}
			for _, v := range rows[target][first*width : end*width] {
				sum += v * v
			}
		}
	}
	return &JacobianNorm{Norm: math.Sqrt(sum / float64(o.Probes*o.InputJacobian)), Examples: o.InputJacobian,
		Method: fmt.Sprintf("Hutchinson's estimate, %d probes of random signs, seed %d", o.Probes, o.Seed)}, nil
}
