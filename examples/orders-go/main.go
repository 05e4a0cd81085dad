// The worker: `go build -o worker . && ./worker`. The TEMPORAL_* variables say where Temporal is.
// `./worker replay` needs none of it: it replays histories.
package main

import (
	"cmp"
	"log"
	"os"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"go.temporal.io/sdk/worker"
)

// Works until SIGTERM or Ctrl-C.
func main() {
	if len(os.Args) > 1 && os.Args[1] == "replay" {
		replay()
		return
	}
	options, err := envconfig.LoadDefaultClientOptions()
	if err != nil {
		log.Fatalln("the TEMPORAL_* variables cannot be read:", err)
	}
	temporal, err := client.Dial(options)
	if err != nil {
		log.Fatalln("Temporal cannot be reached:", err)
	}
	defer temporal.Close()

	orders := worker.New(temporal, cmp.Or(os.Getenv("TASK_QUEUE"), "orders"), worker.Options{})
	orders.RegisterWorkflow(Order)
	orders.RegisterActivityWithOptions(ChargeCard, activity.RegisterOptions{Name: chargeCard})
	orders.RegisterActivityWithOptions(RefundCard, activity.RegisterOptions{Name: refundCard})
	orders.RegisterActivityWithOptions(ShipParcel, activity.RegisterOptions{Name: shipParcel})
	if err := orders.Run(worker.InterruptCh()); err != nil {
		log.Fatalln("the worker has ended:", err)
	}
}
