package cli

import (
	"context"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/spf13/pflag"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/forge"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/notify"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/outbox"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/server"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/stdwebhooks"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/flags"
)

// reportTime is how long a server waits at its end for the last statuses and notifications.
const reportTime = 5 * time.Second

// reportFlags say to whom a server reports what became of builds.
type reportFlags struct {
	publicURL, notifyURL, secretFile string
}

func (f *reportFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.publicURL, "public-url", "",
		"`URL` at which people reach this server, for links to its builds")
	fs.StringVar(&f.notifyURL, "notify-url", "",
		"`URL` that gets a signed webhook for each build that has ended")
	fs.StringVar(&f.secretFile, "notify-secret-file", "",
		"`file` with the secret for these (PINION_NOTIFY_SECRET)")
}

// check rejects wrong flags, and returns the secret of notifications.
func (f *reportFlags) check(env flags.Environment) (secret string, err error) {
	secret, err = flags.Secret("--notify-secret-file", f.secretFile, pinion.EnvNotifySecret,
		env.NotifySecret, server.MinToken)
	if err != nil {
		return "", err
	}
	if u, err := url.Parse(f.publicURL); f.publicURL != "" && (err != nil || u.Host == "" ||
		u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.RawQuery != "" ||
		u.Fragment != "") {
		return "", flags.Errorf("--public-url: use an address such as https://pinion.example")
	}
	_, err = stdwebhooks.Key(secret)
	switch {
	case f.notifyURL == "" && f.secretFile != "":
		return "", flags.Errorf("--notify-secret-file needs --notify-url")
	case f.notifyURL == "":
		return "", nil
	case err != nil:
		return "", flags.Errorf("the secret of notifications: %v", err)
	case secret == "":
		return "", flags.Errorf("--notify-url needs a secret; set --notify-secret-file or %s",
			pinion.EnvNotifySecret)
	}
	if err := outbox.CheckURL(f.notifyURL); err != nil {
		return "", flags.Errorf("--notify-url: %v", err) // the URL itself may be a secret
	}
	return secret, nil
}

// page returns the address of a build's page, "" without a public address.
func (f *reportFlags) page(id string) string {
	if f.publicURL == "" {
		return ""
	}
	return strings.TrimSuffix(f.publicURL, "/") + "/#/builds/" + id
}

// start returns the options of a server that reports what becomes of its builds. Forges get
// statuses if toForges is set. The caller must call stop.
func (f *reportFlags) start(
	s *session, secret string, toForges bool,
) (opts []server.Option, stop func()) {
	type reporter interface {
		Report(b pinion.BuildStatus)
		Close(ctx context.Context)
	}
	var all []reporter
	var statuses, notifications outbox.Counts
	if toForges {
		all = append(all, forge.New(forge.Config{Forge: s.Forge, Size: s.sizeOf, Page: f.page,
			Log: s.log, Counts: &statuses}))
	}
	if f.notifyURL != "" {
		key, _ := stdwebhooks.Key(secret) // check has tried it
		all = append(all, notify.New(f.notifyURL, key, f.page, s.log,
			outbox.WithCounts(&notifications)))
	}
	report := func(b pinion.BuildStatus) {
		for _, r := range all {
			r.Report(b)
		}
	}
	opts = []server.Option{server.WithReports(report),
		server.WithReported(&statuses, &notifications)}
	return opts, func() {
		ctx, cancel := context.WithTimeout(context.Background(), reportTime)
		defer cancel()
		var ends sync.WaitGroup
		for _, r := range all {
			ends.Go(func() { r.Close(ctx) })
		}
		ends.Wait()
	}
}

// sizeOf returns the size of an image in the store, 0 if it is not known.
func (s *session) sizeOf(ctx context.Context, img pinion.Image) int64 {
	built, err := s.List(ctx)
	if err != nil {
		return 0
	}
	for _, b := range built {
		if b.ImageID == img.ID {
			return b.Size
		}
	}
	return 0
}
