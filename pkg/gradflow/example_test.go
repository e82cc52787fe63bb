package gradflow_test

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"
	mlmodel "github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gradbook/gradbook/pkg/activation"
	"github.com/gradbook/gradbook/pkg/backend"
	"github.com/gradbook/gradbook/pkg/gradflow"
	"github.com/gradbook/gradbook/pkg/initializer"
	"github.com/gradbook/gradbook/pkg/model"
)

// A deep sigmoid net, and what is wrong with it.
func Example() {
	net, err := model.MLP{Inputs: 32, Outputs: 10, Depth: 10, Width: 64, Activation: activation.Sigmoid}.New(1)
	if err != nil {
		fmt.Println(err)
		return
	}
	meter, err := gradflow.NewMeter(backend.MustDefault(), net.Store(), net.Logits, crossEntropy, gradflow.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	report, err := meter.Measure(mlp{sizes: []int{32, 10}, dtype: net.DType()}.batch(1, 64))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("factor %.2f a layer, theory %.2f\n", report.Factor(), report.Theory().Factor)
	for _, finding := range gradflow.Diagnose(report).Findings {
		fmt.Printf("%s, first in %s: %s\n", finding.Kind, finding.Layers[0], finding.Advice)
	}
	// Output:
	// factor 0.24 a layer, theory 0.24
	// collapsed inputs, first in h7: The output cannot depend on the input. Fewer layers, an odd activation (tanh) or weights at the edge of chaos keep inputs apart; so do residual connections and normalisation over the batch. If the inputs themselves are all alike, look at the data.
	// vanishing gradient, first in h1: The slope of sigmoid is at most 0.25. Use ReLU with He's initialisation (sigma_w^2 = 2) or tanh with sigma_w^2 near 1; normalisation or residual connections help where the activation must stay.
}

// A tap in a model of one's own.
func ExampleTap() {
	store := mlmodel.NewStore()
	modelFn := func(scope *mlmodel.Scope, x *graph.Node) *graph.Node {
		w := scope.VariableWithValue("w", [][]float32{{1, -1}, {2, 0}, {0, 3}}).NodeValue(x.Graph())
		z := graph.Dot(x, w).Product()
		return gradflow.Tap(graph.Max(z, graph.ZerosLike(z)), "hidden",
			gradflow.PreActivation(z), gradflow.Weights(w), gradflow.Activation(activation.ReLU))
	}
	lossFn := func(labels, outputs []*graph.Node) *graph.Node {
		return graph.ReduceAllMean(graph.Square(graph.Sub(outputs[0], labels[0])))
	}
	meter, err := gradflow.NewMeter(backend.MustDefault(), store, modelFn, lossFn, gradflow.Options{LearningRate: 0.1})
	if err != nil {
		fmt.Println(err)
		return
	}
	report, err := meter.Measure([][]float32{{1, 1, 0}, {0, 1, 1}}, [][]float32{{1, 0}, {0, 0}})
	if err != nil {
		fmt.Println(err)
		return
	}
	l := report.Layer("hidden")
	fmt.Printf("loss %.2f, |delta| %.3f, |dL/dW| %.3f, update ratio %.3f\n", report.Loss, l.DeltaNorm, l.WGradNorm, l.UpdateRatio)
	// Output: loss 4.25, |delta| 2.062, |dL/dW| 3.240, update ratio 0.084
}

// Recording every 10th step of a training.
func ExampleRecorder() {
	net := mlp{sizes: []int{8, 16, 16, 3}, act: activation.Tanh, weights: initializer.GlorotNormal(1), dtype: small().dtype}
	recorder, err := gradflow.NewRecorder(sgd(0.1), gradflow.RecorderOptions{Every: 10})
	if err != nil {
		fmt.Println(err)
		return
	}
	store := mlmodel.NewStore()
	if err := net.fill(store, 1); err != nil {
		fmt.Println(err)
		return
	}
	loop := train.NewLoop(train.NewTrainer(backend.MustDefault(), store, net.logits, crossEntropy, recorder.Optimizer(), nil, nil))
	recorder.Attach(loop)
	if _, err := loop.RunSteps(recorder.Dataset(batches{net, false}), 50); err != nil {
		fmt.Println(err)
		return
	}
	reports, err := recorder.Reports()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range reports {
		fmt.Printf("step %d: %d layers, healthy %t\n", r.Step, len(r.Layers), gradflow.Diagnose(r).Healthy())
	}
	// Output:
	// step 10: 3 layers, healthy true
	// step 20: 3 layers, healthy true
	// step 30: 3 layers, healthy true
	// step 40: 3 layers, healthy true
	// step 50: 3 layers, healthy true
}
