package experiment

import (
	"cmp"
	"encoding/json"
	"slices"
)

// Run is a finished run of a grid.
type Run[S any] struct {
	Setting S
	Seed    uint64
	Values  map[string]float64   // the numbers that the run returned
	Series  map[string][]float64 // the slices that it returned
	Seconds float64              // how long it took

	json json.RawMessage // of the setting
}

func newRun[S any](setting S, r record) Run[S] {
	run := Run[S]{Setting: setting, Seed: r.Seed, Values: map[string]float64{}, Series: map[string][]float64{}, Seconds: r.Seconds, json: r.Setting}
	for name, v := range r.Values {
		run.Values[name] = float64(v)
	}
	for name, list := range r.Series {
		run.Series[name] = floats(list)
	}
	return run
}

// Results are the finished runs of a grid, or some of them: by setting in the grid's order, then by seed.
type Results[S any] struct {
	Name string
	Runs []Run[S]
}

// Filter is the part of the results whose settings keep says yes to.
func (r *Results[S]) Filter(keep func(setting S) bool) *Results[S] {
	part := &Results[S]{Name: r.Name}
	for _, run := range r.Runs {
		if keep(run.Setting) {
			part.Runs = append(part.Runs, run)
		}
	}
	return part
}

// Values are the numbers of that name, one for each run that has it.
func (r *Results[S]) Values(name string) []float64 {
	var list []float64
	for _, run := range r.Runs {
		if v, ok := run.Values[name]; ok {
			list = append(list, v)
		}
	}
	return list
}

// Mean is the mean over all runs: see Mean. Filter first.
func (r *Results[S]) Mean(name string) Interval { return Mean(r.Values(name)) }

// GeometricMean is the geometric mean over all runs: see GeometricMean. Filter first.
func (r *Results[S]) GeometricMean(name string) Interval { return GeometricMean(r.Values(name)) }

// Traces are the slices of that name, such as losses by step: one row for each run that has it.
func (r *Results[S]) Traces(name string) [][]float64 {
	var rows [][]float64
	for _, run := range r.Runs {
		if list, ok := run.Series[name]; ok {
			rows = append(rows, list)
		}
	}
	return rows
}

// Group is the part of some results whose settings agree in a key.
type Group[K, S any] struct {
	Key K
	*Results[S]
}

// GroupBy sorts results into groups, in the order in which the keys come first: one curve of a figure each.
//
//	for _, g := range experiment.GroupBy(results, func(s Setting) string { return s.Activation }) {
//		curve := g.Series(func(s Setting) float64 { return float64(s.Depth) }, "accuracy")
//		fig.Band(g.Key, curve.X, curve.Low, curve.Mean, curve.High)
//	}
func GroupBy[K comparable, S any](r *Results[S], of func(setting S) K) []Group[K, S] {
	var groups []Group[K, S]
	places := map[K]int{}
	for _, run := range r.Runs {
		k := of(run.Setting)
		i, ok := places[k]
		if !ok {
			i = len(groups)
			places[k] = i
			groups = append(groups, Group[K, S]{k, &Results[S]{Name: r.Name}})
		}
		groups[i].Runs = append(groups[i].Runs, run)
	}
	return groups
}

// Series is y over x, with all runs of one x put together.
type Series struct {
	X               []float64   // ascending, each once
	Mean, Low, High []float64   // of y at each x: the mean and its 95 % interval (Low and High are the mean where there is one run)
	Seeds           [][]float64 // one row for each seed that has a y at every x: y at each x
	All             [][]float64 // at each x, y of all runs
}

// Series puts the numbers named y over x of the setting, for curves with a band over seeds. Runs that have no such number are left out. Use Filter or GroupBy first if the
// settings differ in something else than x.
func (r *Results[S]) Series(x func(setting S) float64, y string) Series {
	return r.series(x, y, Mean)
}

// GeometricSeries is Series with geometric means: for norms and factors on a log axis.
func (r *Results[S]) GeometricSeries(x func(setting S) float64, y string) Series {
	return r.series(x, y, GeometricMean)
}

func (r *Results[S]) series(x func(setting S) float64, y string, mean func([]float64) Interval) Series {
	points := make([]point, 0, len(r.Runs))
	for _, run := range r.Runs {
		if v, ok := run.Values[y]; ok {
			points = append(points, point{x(run.Setting), v, run.Seed})
		}
	}
	return newSeries(points, mean)
}

type point struct {
	x, y float64
	seed uint64
}

func newSeries(points []point, mean func([]float64) Interval) Series {
	slices.SortStableFunc(points, func(a, b point) int { return cmp.Or(cmp.Compare(a.x, b.x), cmp.Compare(a.seed, b.seed)) })
	var s Series
	rows := map[uint64][]float64{}
	for i, p := range points {
		if i == 0 || p.x != points[i-1].x {
			s.X = append(s.X, p.x)
			s.All = append(s.All, nil)
		}
		k := len(s.X) - 1
		s.All[k] = append(s.All[k], p.y)
		if row := rows[p.seed]; len(row) == k { // the first run of this seed here, and none missing before
			rows[p.seed] = append(row, p.y)
		}
	}
	for _, values := range s.All {
		m := mean(values)
		if m.N == 1 {
			m.Low, m.High = m.Mean, m.Mean
		}
		s.Mean, s.Low, s.High = append(s.Mean, m.Mean), append(s.Low, m.Low), append(s.High, m.High)
	}
	var seeds []uint64
	for seed, row := range rows {
		if len(row) == len(s.X) {
			seeds = append(seeds, seed)
		}
	}
	slices.Sort(seeds)
	for _, seed := range seeds {
		s.Seeds = append(s.Seeds, rows[seed])
	}
	return s
}
