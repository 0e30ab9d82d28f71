// Package deploy has only tests: of the Helm chart, and of the manifests in kubernetes, which are made from
// it. It is a module of its own, because what it needs is much larger than medispatcher.
package deploy
