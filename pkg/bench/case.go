package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gradbook/gradbook/pkg/activation"
	"github.com/gradbook/gradbook/pkg/backend"
	"github.com/gradbook/gradbook/pkg/initializer"
	"github.com/gradbook/gradbook/pkg/model"
)

// netCase is a row of the table by devices: a net, its batches and its rate.
type netCase struct {
	net, size string // as in the table
	config    model.Config
	batch     int
	input     []int // of one example
	rate      float64
	work      float64 // multiplications and additions of a forward pass
}

// Each case trains on the same few batches, in turn.
const (
	caseBatches = 4
	caseSeed    = 1
	classes     = 10
)

// netCases lists the cases of a net in the order of their sizes: "mlp", "resnet" or "lstm".
func netCases(net string) ([]netCase, error) {
	var list []netCase
	switch net {
	case "mlp":
		for _, width := range []int{64, 256, 1024} {
			list = append(list, mlpCase(width))
		}
	case "resnet":
		for _, batch := range []int{32, 128, 512} {
			list = append(list, resNetCase(batch))
		}
	case "lstm":
		for _, hidden := range []int{64, 256, 1024} {
			list = append(list, lstmCase(hidden))
		}
	default:
		return nil, fmt.Errorf("-nets has %q; allowed are mlp, resnet and lstm", net)
	}
	return list, nil
}

func mlpCase(width int) netCase {
	const depth, batch = 10, 256
	return netCase{
		net: "MLP 784-w x 10-10, batch 256", size: fmt.Sprint("w = ", width), batch: batch, input: []int{784}, rate: 0.1,
		config: model.MLP{Inputs: 784, Outputs: classes, Depth: depth, Width: width, Activation: activation.ReLU, Weights: initializer.He()},
		work:   batch * float64(width) * float64(784+(depth-1)*width+classes),
	}
}

func resNetCase(batch int) netCase {
	return netCase{
		net: "ResNet-20, images of 32x32x3, batch norm", size: fmt.Sprint("batch ", batch), batch: batch, input: []int{32, 32, 3}, rate: 0.05,
		config: model.ConvNet{N: 3, Image: [3]int{32, 32, 3}, Classes: classes, Residual: true, Norm: model.BatchNorm},
		work:   40.8e6 * float64(batch),
	}
}

func lstmCase(hidden int) netCase {
	const features, steps, batch = 28, 28, 64
	return netCase{
		net: "LSTM, 1 layer, 28 steps of 28, batch 64", size: fmt.Sprint("hidden ", hidden), batch: batch, input: []int{steps, features}, rate: 1,
		config: model.Recurrent{Cell: model.LSTM, Inputs: features, Hidden: hidden, Outputs: classes, Steps: steps, ForgetBias: 1},
		work:   batch * steps * 4 * float64(hidden) * float64(features+hidden),
	}
}

// manifest is the file case.json of a case's folder. Beside it lie values.f32, all variables one after the other and then the inputs of all batches, and labels.i32.
type manifest struct {
	Config    json.RawMessage `json:"config"` // as model.ParseConfig reads it
	Rate      float64         `json:"rate"`
	Batches   int             `json:"batches"`
	Batch     int             `json:"batch"`
	Input     []int           `json:"input"`
	Variables []variable      `json:"variables"`
}

type variable struct {
	Name  string `json:"name"`
	Shape []int  `json:"shape"`
}

// write puts the case into a folder, weights and batches and all, so that whoever takes part starts from the same numbers.
func (c netCase) write(folder string) error {
	net, err := c.config.New(caseSeed)
	if err != nil {
		return err
	}
	config, err := json.Marshal(c.config)
	if err != nil {
		return err
	}
	m := manifest{Config: config, Rate: c.rate, Batches: caseBatches, Batch: c.batch, Input: c.input}
	var values bytes.Buffer
	put := func(list []float32) { _ = binary.Write(&values, binary.LittleEndian, list) } // into memory: it cannot fail
	for _, name := range net.Variables() {
		t := net.Weights(name)
		m.Variables = append(m.Variables, variable{name, append([]int{}, t.Shape().Dimensions...)})
		put(tensors.MustCopyFlatData[float32](t))
	}
	each := c.batch
	for _, n := range c.input {
		each *= n
	}
	labels := make([]int32, 0, caseBatches*c.batch)
	for i := range caseBatches {
		put(uniform(uint32(2000+i), each, -1, 1))
		for _, v := range uniform(uint32(1000+i), c.batch, 0, classes) {
			labels = append(labels, int32(v))
		}
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	var integers bytes.Buffer
	_ = binary.Write(&integers, binary.LittleEndian, labels)
	for name, content := range map[string][]byte{"case.json": text, "values.f32": values.Bytes(), "labels.i32": integers.Bytes()} {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o666); err != nil {
			return err
		}
	}
	return nil
}

// readCase reads what write has written: the net with its weights, the batches and the rate.
func readCase(folder string) (*model.Net, []batch, float64, error) {
	var m manifest
	text, err := os.ReadFile(filepath.Join(folder, "case.json"))
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err != nil {
		return nil, nil, 0, err
	}
	config, err := model.ParseConfig(m.Config)
	if err != nil {
		return nil, nil, 0, err
	}
	net, err := config.New(caseSeed)
	if err != nil {
		return nil, nil, 0, err
	}
	values, err := readNumbers[float32](filepath.Join(folder, "values.f32"))
	if err != nil {
		return nil, nil, 0, err
	}
	labels, err := readNumbers[int32](filepath.Join(folder, "labels.i32"))
	if err != nil {
		return nil, nil, 0, err
	}
	for _, v := range m.Variables {
		t := tensors.FromFlatDataAndDimensions(values[:product(v.Shape)], v.Shape...)
		if err := net.SetWeights(v.Name, t); err != nil {
			return nil, nil, 0, err
		}
		values = values[product(v.Shape):]
	}
	var list []batch
	each := m.Batch * product(m.Input)
	for i := range m.Batches {
		x := tensors.FromFlatDataAndDimensions(values[i*each:(i+1)*each], append([]int{m.Batch}, m.Input...)...)
		list = append(list, batch{x, tensors.FromFlatDataAndDimensions(labels[i*m.Batch:(i+1)*m.Batch], m.Batch, 1)})
	}
	return net, list, m.Rate, nil
}

func product(dims []int) int {
	n := 1
	for _, d := range dims {
		n *= d
	}
	return n
}

func readNumbers[T float32 | int32](path string) ([]T, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	list := make([]T, len(raw)/4)
	return list, binary.Read(bytes.NewReader(raw), binary.LittleEndian, list)
}

// workCase is the process of a contender of this program: one compiled step of the case in folder, on a backend as backend.New takes it.
func workCase(folder, config string) error {
	b, err := backend.New(config)
	if err != nil {
		return err
	}
	net, list, rate, err := readCase(folder)
	if err != nil {
		return err
	}
	do, err := compiled(b, net, list, rate, 1, net.Logits)
	if err != nil {
		return err
	}
	return serve(do)
}
