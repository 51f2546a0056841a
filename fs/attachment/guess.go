package attachment

// A look at an attachment fetches its first bytes with it, which costs no
// request more than to ask for its size, in the expectation that it will be
// opened. Whoever looks at many without opening them, as one who deletes them
// does, must not fetch them all: after a few that were fetched in vain, only one
// look in some finds out whether that has changed. Whoever deletes what was fetched
// is likely to delete the next one, too: nothing is fetched until something is
// opened that has not been.
const (
	maxScore  = 8 // as many in vain end the fetching
	trialStep = 8 // looks to one trial
)

// guess reports whether to fetch u, which is looked at.
func (s *shelf) guess(u UUID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.moment <= 0 || s.deleting || s.has(u) {
		return false
	}
	return s.likely() && s.firstLook(u)
}

// likely reports whether what is looked at is likely to be opened, or whether that
// is to be tried again.
func (s *shelf) likely() bool {
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

// firstLook reports that no other look at u under way fetches it, and notes that
// one does now.
func (s *shelf) firstLook(u UUID) bool {
	var mine *look
	for l := range s.looks {
		switch {
		case l.uuid != u:
		case l.fetches:
			return false
		default:
			mine = l
		}
	}
	if mine != nil {
		mine.fetches = true
	}
	return true
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

// has reports that u is in memory, or on its way there.
func (s *shelf) has(u UUID) bool {
	it := s.items[u]
	return it != nil && it.body != nil || len(s.flights[u]) > 0
}

// deleted notes that u is being deleted.
func (s *shelf) deleted(u UUID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if it := s.items[u]; it != nil && it.first != nil {
		s.deleting = true
	}
}
