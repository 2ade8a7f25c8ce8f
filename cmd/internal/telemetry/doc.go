// Package telemetry sends the spans of the library to a collector by OTLP, if the variables of
// OpenTelemetry's specification ask for that.
//
// It guarantees that without them nothing is created, that no credential of Pinion's is in what is
// sent, and that a collector that is slow or down delays nothing but the end of the program, by
// [closeTimeout] at most. It does not guarantee that spans arrive: those that cannot be sent are
// dropped, with a line in the log.
package telemetry
