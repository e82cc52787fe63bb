package backend

// PrepareCUDA is tested by itself: without a GPU no plugin for CUDA is started.
var PrepareCUDA = prepareCUDA
