package sync

// OnceValue is what Go 1.21 has: a function that makes its value with the first call.
func OnceValue[T any](make func() T) func() T {
	var once Once
	var made T
	return func() T {
		once.Do(func() { made = make() })
		return made
	}
}
