package docker

// Environ returns the configuration as variables for a program that finds the engine as Docker's
// CLI does, for example a plugin of that CLI. They contain the fields of c and the variables of
// Lookup. An empty variable overrides one of the process's environment.
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
