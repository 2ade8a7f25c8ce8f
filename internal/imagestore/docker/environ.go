package docker

// Environ is the configuration as variables for a program that speaks to the same engine in
// Docker's ways, a plugin of its CLI for one. Flags are in it as well as what Lookup has, which
// need not be in this process's environment. An empty one takes the place of one that must not
// count.
func (c Config) Environ() []string {
	host, context := c.get("DOCKER_HOST"), c.get("DOCKER_CONTEXT")
	switch {
	case c.Host != "":
		host, context = c.Host, ""
	case c.Context != "":
		context = c.Context
		if context != DefaultContext { // which is the one of DOCKER_HOST
			host = ""
		}
	}
	env := []string{"DOCKER_HOST=" + host, "DOCKER_CONTEXT=" + context}
	for _, name := range []string{"DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"} {
		env = append(env, name+"="+c.get(name))
	}
	if dir := c.Dir(); dir != "" {
		env = append(env, "DOCKER_CONFIG="+dir)
	}
	return env
}
