package client

import "time"

// Image is an image in the server's image store, and how it came there.
type Image struct {
	Schema  int    `json:"schema"`
	Name    string `json:"name"`
	Mode    string `json:"mode"` // "local-build" or "registry"
	Outcome string `json:"outcome"`
	// Reference is the image's name in the store. Every user of the store can move it.
	Reference string `json:"reference"`
	// ID is the image's content address. Create containers from it.
	ID       string `json:"image_id"`
	Revision string `json:"revision,omitempty"` // the commit; empty in registry mode
	Tree     string `json:"tree,omitempty"`
	// PullRequest is the number of the pull request whose head the commit was; 0 for a branch.
	PullRequest int       `json:"pull_request,omitempty"`
	Repository  string    `json:"repository,omitempty"`
	Platform    string    `json:"platform"`
	Builder     *Builder  `json:"builder,omitempty"` // nil unless it was built for this request
	Fetch       *Fetch    `json:"fetch,omitempty"`
	Delivery    *Delivery `json:"delivery,omitempty"`
	Reason      string    `json:"reason,omitempty"` // why it was not a hit
	Ignored     bool      `json:"dockerignore,omitempty"`
	Shared      bool      `json:"shared,omitempty"` // it joined the build of another request
	Cache       *Cache    `json:"cache,omitempty"`
	// Args are the build arguments that it was built with, by name.
	Args         map[string]string `json:"args,omitempty"`
	Prewarmed    bool              `json:"prewarmed,omitempty"`
	SupersededBy string            `json:"superseded_by,omitempty"`
	Checks       []Check           `json:"checks,omitempty"` // of its build, also on a hit
	Warnings     []string          `json:"warnings,omitempty"`
	// Durations are in milliseconds. The steps that were not taken are missing.
	Durations map[string]int64 `json:"durations_ms"`
}

// Check is what BuildKit remarked on the Dockerfile without failing. Only Text is always there.
type Check struct {
	Rule   string `json:"rule,omitempty"` // for example "InvalidBaseImagePlatform"
	Text   string `json:"text"`           // one line
	Detail string `json:"detail,omitempty"`
	URL    string `json:"url,omitempty"` // the rule's documentation
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
}

// The outcomes of an [Image]. A newer server may have others.
const (
	OutcomeHit    = "hit"
	OutcomeBuilt  = "built"
	OutcomePulled = "pulled"
	OutcomeGiven  = "given"
)

// Builder is the builder of an image.
type Builder struct {
	Kind     string `json:"kind"`
	Endpoint string `json:"endpoint"`
	Version  string `json:"version"`
	Engine   string `json:"engine,omitempty"`
}

// Fetch says how the builder fetched the commit.
type Fetch struct {
	Strategy string `json:"strategy"`
}

// Delivery says how the image came from the builder into the store.
type Delivery struct {
	Method       string `json:"method"`
	Via          string `json:"via,omitempty"`
	Bytes        int64  `json:"bytes,omitempty"`
	LayersSent   int    `json:"layers_sent,omitempty"`
	LayersReused int    `json:"layers_reused,omitempty"`
	Reason       string `json:"reason,omitempty"`
}

// Cache lists the saved build caches that the builder was offered.
type Cache struct {
	From     string   `json:"from"`
	Imported []string `json:"imported"`
}

// Built is an image in the store that Pinion built at some time.
type Built struct {
	Name      string `json:"name"`
	Reference string `json:"reference"`
	ID        string `json:"image_id"`
	Revision  string `json:"revision"`
	Tree      string `json:"tree,omitempty"`
	// PullRequest is the number of the pull request that it is of; 0 for a branch.
	PullRequest int       `json:"pull_request,omitempty"`
	Platform    string    `json:"platform"`
	Size        int64     `json:"size"` // bytes
	BuiltAt     time.Time `json:"built_at"`
}

// Template is an entry of the server's catalogue.
type Template struct {
	Name       string `json:"name"`
	Mode       string `json:"mode"`
	Reference  string `json:"reference,omitempty"`
	Repository string `json:"repository,omitempty"`
	Ref        string `json:"ref,omitempty"`
	// Revision is that of a template that is pinned to one.
	Revision string `json:"revision,omitempty"`
	// PullRequests reports whether pull requests are built, see [AtPullRequest].
	PullRequests bool `json:"pull_requests,omitempty"`
}

// Build is the state of a build or pull.
type Build struct {
	Schema       int       `json:"schema,omitempty"`
	ID           string    `json:"id"`
	Name         string    `json:"name"`
	State        string    `json:"state"`              // queued, running, done, failed, interrupted
	Position     int       `json:"position,omitempty"` // while it is queued: 1 is the next
	Reference    string    `json:"reference"`
	Revision     string    `json:"revision,omitempty"`
	Prewarmed    bool      `json:"prewarmed,omitempty"`
	AskedBy      string    `json:"asked_by,omitempty"`     // who began it, in that one's own words
	Pinned       bool      `json:"pinned,omitempty"`       // the caller chose the commit
	PullRequest  int       `json:"pull_request,omitempty"` // its number; 0 for a branch
	Saves        string    `json:"saves,omitempty"`        // the build whose cache is saved
	Reason       string    `json:"reason,omitempty"`       // why it was not a hit
	Builder      *Builder  `json:"builder,omitempty"`
	Command      string    `json:"command,omitempty"` // the process's verb: serve, ensure, run
	PID          int       `json:"pid,omitempty"`     // of another process that builds it
	Hits         int       `json:"hits,omitempty"`    // how often the image was found, for a hit
	Started      time.Time `json:"started"`
	QueuedMS     int64     `json:"queued_ms,omitempty"` // how long it has waited for its turn
	Ended        time.Time `json:"ended,omitzero"`
	Image        *Image    `json:"image,omitempty"`
	Failure      *Failure  `json:"failure,omitempty"`
	SupersededBy string    `json:"superseded_by,omitempty"`
}

// Accepted is the answer to a request that does not wait.
type Accepted struct {
	Schema int   `json:"schema"`
	Build  Build `json:"build"`
	// Interest is a secret that lets the caller withdraw, see [Client.Cancel].
	Interest string `json:"interest"`
}

// Event is one thing that happened in a build. The fields beside the first four depend on the type.
type Event struct {
	ID   int64     `json:"id"` // 0 for an event that the client itself makes
	Type string    `json:"type"`
	Time time.Time `json:"time"`
	Name string    `json:"name"`

	Revision    string   `json:"revision,omitempty"`
	Reference   string   `json:"reference,omitempty"`
	Prewarmed   bool     `json:"prewarmed,omitempty"`
	AskedBy     string   `json:"asked_by,omitempty"`     // who began it, in that one's words
	Pinned      bool     `json:"pinned,omitempty"`       // the caller chose the commit
	PullRequest int      `json:"pull_request,omitempty"` // its number; 0 for a branch
	Saves       string   `json:"saves,omitempty"`        // the build whose cache is saved
	Reason      string   `json:"reason,omitempty"`       // why it was not a hit
	Builder     *Builder `json:"builder,omitempty"`
	Position    int      `json:"position,omitempty"`
	Step        *Step    `json:"step,omitempty"`
	Text        string   `json:"text,omitempty"`
	Bytes       int64    `json:"bytes,omitempty"`
	Elapsed     int64    `json:"elapsed_ms,omitempty"` // milliseconds
	Image       *Image   `json:"image,omitempty"`
	Failure     *Failure `json:"failure,omitempty"`
	Check       *Check   `json:"check,omitempty"`
}

// The types of events. A newer server may send others.
const (
	EventResolved      = "resolved"
	EventHit           = "hit"
	EventQueued        = "queued"
	EventCheck         = "check"
	EventNotice        = "notice"
	EventFetching      = "fetching"
	EventStep          = "step"
	EventLog           = "log"
	EventStillBuilding = "still-building"
	EventDelivering    = "delivering"
	EventDone          = "done"
	EventFailed        = "failed"
)

// Step is a step of a build.
type Step struct {
	Number int    `json:"number"`
	Total  int    `json:"total"`
	Name   string `json:"name,omitempty"`
	State  string `json:"state,omitempty"` // started, cached, done or failed
}

// Failure is the reason why a build failed.
type Failure struct {
	Message string `json:"error"`
	Origin  string `json:"origin,omitempty"`
	Class   Class  `json:"class"`
	// Step is the name of the step that failed; empty if none did.
	Step string `json:"step,omitempty"`
	// Log has the last lines that the failed step printed.
	Log    []string `json:"log,omitempty"`
	Checks []Check  `json:"checks,omitempty"`
}

// Problem is an error as the server sends it (RFC 9457). Callers get an [*Error].
type Problem struct {
	Type     string   `json:"type"`
	Title    string   `json:"title"`
	Status   int      `json:"status"`
	Detail   string   `json:"detail"`
	Instance string   `json:"instance,omitempty"`
	Class    Class    `json:"class,omitempty"`
	Origin   string   `json:"origin,omitempty"`
	ExitCode int      `json:"exit_code,omitempty"`
	Step     string   `json:"step,omitempty"` // the step that failed, if one did
	Log      []string `json:"log,omitempty"`
	Checks   []Check  `json:"checks,omitempty"`
}

// Wish is the body of a request for an image.
type Wish struct {
	Revision    string `json:"revision,omitempty"`
	AnyRevision bool   `json:"any_revision,omitempty"`
	PullRequest int    `json:"pull_request,omitempty"`
	Pull        bool   `json:"pull,omitempty"`
	NoCache     bool   `json:"no_cache,omitempty"`
}
