// Package hostile answers the requests of a bucket with what means harm, and
// sees what becomes of it. It is for tests.
//
// Whoever answers in a store's place cannot make its reader hold more than a
// bounded number of bytes, send it elsewhere, make it believe that an object is
// missing, or put commands for a terminal into a message.
package hostile
