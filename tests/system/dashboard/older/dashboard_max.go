package dashboard

// max is a word of the language since Go 1.21.
func max(a, b uint32) uint32 {
	if a > b {
		return a
	}
	return b
}
