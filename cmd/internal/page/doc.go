// Package page has the web page of `pinion serve`: its files, and the sessions of browsers.
//
// The page is HTML, CSS and JavaScript modules as they are in assets; nothing is compiled. It gets
// all data from the HTTP interface that /openapi.yaml describes, and makes no request to any other
// host. Texts from elsewhere reach the document as text nodes alone.
package page
