package attachment

// A look at an attachment fetches its first bytes with it, which costs no
// request more than to ask for its size, in the expectation that it will be
// opened. Whoever looks at many without opening them, as one who deletes them
// does, must not fetch them all: after a few that were fetched in vain, only one
// look in some finds out whether that has changed.
const (
	maxScore  = 8 // as many in vain end the fetching
	trialStep = 8 // looks to one trial
)

// guess reports whether to fetch what is looked at.
func (s *shelf) guess() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.moment <= 0 {
		return false
	}
	if s.score > 0 {
		return true
	}
	s.score--
	if s.score <= -trialStep {
		s.score = 0
		return true
	}
	return false
}

// guessed notes whether something fetched was of use.
func (s *shelf) guessed(right bool) {
	switch {
	case right:
		s.score = maxScore
	case s.score > 0:
		s.score--
	}
}
