module git.moleculesai.app/molecule-ai/pinion/client

go 1.24
