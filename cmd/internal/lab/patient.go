package lab

import "slices"

// shortestWord keeps words out of searches that could turn up in random bytes.
const shortestWord = 5

// PatientWords returns the names and identifiers of patients, each once, that
// are long enough to be searched for in sealed content.
func PatientWords(patients []Patient) []string {
	var words []string
	for _, p := range patients {
		for _, word := range []string{p.PatientName, p.PatientID} {
			if len(word) >= shortestWord {
				words = append(words, word)
			}
		}
	}
	slices.Sort(words)
	return slices.Compact(words)
}
