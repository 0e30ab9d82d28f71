// Package operate has the steps by which an operator looks at a running system and changes it. The API, the pages and
// the command line share these steps; each has its own words for the errors. It declares the small interfaces that the steps need, and
// imports the domain and recover, for the JSON form of a message.
package operate
