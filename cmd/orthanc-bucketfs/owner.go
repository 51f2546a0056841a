package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/user"
	"strconv"
	"strings"
)

// splitOwner splits "user:group" or "user"; group may be empty, and user only
// if owner is.
func splitOwner(owner string) (userName, groupName string, err error) {
	userName, groupName, hasGroup := strings.Cut(owner, ":")
	switch {
	case owner == "":
		return "", "", nil
	case userName == "":
		return "", "", errors.New("has no user")
	case hasGroup && groupName == "":
		return "", "", errors.New("has no group after the colon")
	case strings.ContainsAny(userName+groupName, ": \t\r\n"):
		return "", "", errors.New("has more than a user and a group")
	}
	return userName, groupName, nil
}

// resolveOwner returns the ids of "user:group" or "user", whose group is then
// the user's own. Names and decimal numbers will do for both; as in chown(1),
// what is a name counts as one even if it looks like a number. The empty owner
// is the user of this process.
func resolveOwner(owner string) (uid, gid uint32, err error) {
	userName, groupName, err := splitOwner(owner)
	if err != nil {
		return 0, 0, err
	}
	if userName == "" {
		return uint32(os.Getuid()), uint32(os.Getgid()), nil
	}
	account, err := lookupUser(userName)
	if err != nil {
		return 0, 0, err
	}
	if groupName != "" {
		if account.Gid, err = lookupGroup(groupName); err != nil {
			return 0, 0, err
		}
	}
	if account.Gid == "" {
		return 0, 0, errors.New("the user has no account to take the group from: write \"USER:GROUP\"")
	}
	if uid, err = parseID(account.Uid); err != nil {
		return 0, 0, err
	}
	gid, err = parseID(account.Gid)
	return uid, gid, err
}

// lookupUser returns an account. Of a number without one only Uid is known.
func lookupUser(name string) (user.User, error) {
	account, err := user.Lookup(name)
	if err == nil {
		return *account, nil
	}
	if !isNumber(name) {
		return user.User{}, errors.New("there is no such user: create the account, or name another")
	}
	// user.LookupId would find root for a number that is 0 in 32 bits.
	if _, err := parseID(name); err != nil {
		return user.User{}, err
	}
	if account, err = user.LookupId(name); err != nil {
		return user.User{Uid: name}, nil
	}
	return *account, nil
}

func lookupGroup(name string) (gid string, err error) {
	group, err := user.LookupGroup(name)
	if err == nil {
		return group.Gid, nil
	}
	if isNumber(name) {
		return name, nil
	}
	return "", errors.New("there is no such group: create the group, or name another")
}

func isNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// parseID refuses the largest uint32: for chown(2) it means "as it is".
func parseID(text string) (uint32, error) {
	id, err := strconv.ParseUint(text, 10, 32)
	if err != nil || id == math.MaxUint32 {
		return 0, fmt.Errorf("a user or group id is too large: write one below %d", uint32(math.MaxUint32))
	}
	return uint32(id), nil
}
