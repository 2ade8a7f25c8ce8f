package piniontest

import (
	"encoding/json"
	"net/http"

	"git.moleculesai.app/molecule-ai/pinion/client"
)

// answers are the statuses and exit codes of classes, as `pinion serve` has them.
var answers = map[client.Class]struct{ status, exitCode int }{
	client.ClassUsage:        {http.StatusBadRequest, 64},
	client.ClassNotFound:     {http.StatusNotFound, 10},
	client.ClassUnauthorized: {http.StatusBadGateway, 11},
	client.ClassUnreachable:  {http.StatusBadGateway, 12},
	client.ClassNoBuilder:    {http.StatusServiceUnavailable, 13},
	client.ClassStore:        {http.StatusServiceUnavailable, 14},
	client.ClassVerification: {http.StatusInternalServerError, 15},
	client.ClassLock:         {http.StatusServiceUnavailable, 16},
	client.ClassBuild:        {http.StatusUnprocessableEntity, 20},
	client.ClassStalled:      {http.StatusGatewayTimeout, 20},
	client.ClassTimeLimit:    {http.StatusGatewayTimeout, 20},
	client.ClassCancelled:    {http.StatusServiceUnavailable, 130},
	client.ClassGeneral:      {http.StatusInternalServerError, 1},
}

// fail answers with the problem of a failed look-up or build.
func fail(w http.ResponseWriter, r *http.Request, f client.Failure) {
	a, ok := answers[f.Class]
	if !ok {
		a = answers[client.ClassGeneral]
	}
	writeProblem(w, r, client.Problem{Type: "urn:pinion:problem:" + string(f.Class),
		Title: f.Class.Message(), Status: a.status, Detail: f.Message, Class: f.Class,
		Origin: f.Origin, ExitCode: a.exitCode, Step: f.Step, Log: f.Log,
		Checks: f.Checks})
}

// refuse answers with a problem of the request.
func refuse(w http.ResponseWriter, r *http.Request, status int, kind, title string) {
	writeProblem(w, r, client.Problem{Type: "urn:pinion:problem:" + kind, Title: title,
		Status: status, Detail: title})
}

func writeProblem(w http.ResponseWriter, r *http.Request, p client.Problem) {
	p.Instance = r.URL.EscapedPath()
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the caller may be gone
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the caller may be gone
}
