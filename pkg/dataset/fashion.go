package dataset

// The MD5 sums are those of the table in the README of github.com/zalandoresearch/fashion-mnist.
var fashionTrain = idxPair{
	name:   "Fashion-MNIST train",
	images: file{"train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d"},
	labels: file{"train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe"},
}

var fashionTest = idxPair{
	name:   "Fashion-MNIST test",
	images: file{"t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79"},
	labels: file{"t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310"},
}

var fashionNames = []string{"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"}

// FashionMNIST returns the 60,000 training and the 10,000 test images of clothes, shape [28, 28, 1], with pixels in [0, 1], from their four original
// files (data/fashion in github.com/zalandoresearch/fashion-mnist) in the folder or its subfolder fashion-mnist. Without a folder ("") they are looked for in
// fashion-mnist of the folder that GRADBOOK_DATA names, and in data/fashion-mnist. A *MissingError says which file is missing. Files that are
// not the published ones (by MD5) are refused. Xiao, Rasul and Vollgraf 2017.
func FashionMNIST(folder string) (train, test *Set, err error) {
	looked := folders(folder, "fashion-mnist")
	files := []file{fashionTrain.images, fashionTrain.labels, fashionTest.images, fashionTest.labels}
	for _, place := range looked {
		if firstMissing(place, files) != "" {
			continue
		}
		if train, err = fashionTrain.read(place, fashionNames); err != nil {
			return nil, nil, err
		}
		if test, err = fashionTest.read(place, fashionNames); err != nil {
			return nil, nil, err
		}
		return train, test, nil
	}
	return nil, nil, &MissingError{Set: "Fashion-MNIST", File: firstMissing(looked[0], files), Folders: looked,
		Advice: "put the four files of the folder data/fashion of github.com/zalandoresearch/fashion-mnist into " + looked[0] +
			", as they are (not unpacked), or set " + FolderVar + " to a folder that has them in its subfolder fashion-mnist"}
}
