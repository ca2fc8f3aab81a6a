"""What operators and functions make of native histograms, a cell at a time, where a matrix has any."""
