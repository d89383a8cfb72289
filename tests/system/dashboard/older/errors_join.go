package errors

// Join is what Go 1.20 has: several errors as one.
func Join(errs ...error) error {
	text := ""
	for _, one := range errs {
		if one != nil {
			text += one.Error() + "\n"
		}
	}
	if text == "" {
		return nil
	}
	return New(text[:len(text)-1])
}
