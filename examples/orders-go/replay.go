package main

import (
	"bufio"
	"encoding/json"
	"log"
	"os"

	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// replay replays the histories whose files' names it reads, for `temporal-chaos replay --command`.
func replay(order any) {
	replayer := worker.NewWorkflowReplayer()
	replayer.RegisterWorkflowWithOptions(order, workflow.RegisterOptions{Name: "Order"})
	answers := json.NewEncoder(os.Stdout)
	for names := bufio.NewScanner(os.Stdin); names.Scan(); {
		failure := ""
		if err := replayer.ReplayWorkflowHistoryFromJSONFile(nil, names.Text()); err != nil {
			failure = err.Error()
		}
		if err := answers.Encode(map[string]string{"file": names.Text(), "failure": failure}); err != nil {
			log.Fatalln("nobody reads the answers:", err)
		}
	}
}
