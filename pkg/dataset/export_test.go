package dataset

// CIFARFromArchive is what CIFAR10 does with an archive whose checksum is right; no test has the original.
var CIFARFromArchive = cifarFromArchive
