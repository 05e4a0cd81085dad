// The worker: `go build -o worker . && ./worker`. The TEMPORAL_* variables say where Temporal is.
// `./worker replay` needs none of it: it replays histories by the version that ORDERS_VERSION names.
package main

import (
	"cmp"
	"fmt"
	"log"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// The workflow of each version; ORDERS_VERSION says by which the worker works.
var versions = map[string]any{"1": Order, "2": OrderV2, "2-unpatched": OrderUnpatched}

// order is the workflow of the version that is asked for. It ends the program with 2 where there is no such.
func order() any {
	asked := cmp.Or(os.Getenv("ORDERS_VERSION"), "1")
	found, ok := versions[asked]
	if !ok {
		known := strings.Join(slices.Sorted(maps.Keys(versions)), ", ")
		fmt.Fprintf(os.Stderr, "ORDERS_VERSION is %q: there are %s.\n", asked, known)
		os.Exit(2)
	}
	return found
}

// grace is how long a worker that is told to stop works on what it has begun.
const grace = 15 * time.Second

// workerOptions has its place in Worker Versioning, by the variables of Temporal's worker controller, if they are set.
func workerOptions() worker.Options {
	options := worker.Options{WorkerStopTimeout: grace}
	name, buildID := os.Getenv("TEMPORAL_DEPLOYMENT_NAME"), os.Getenv("TEMPORAL_WORKER_BUILD_ID")
	if name != "" && buildID != "" {
		options.DeploymentOptions = worker.DeploymentOptions{
			UseVersioning:             true,
			Version:                   worker.WorkerDeploymentVersion{DeploymentName: name, BuildID: buildID},
			DefaultVersioningBehavior: workflow.VersioningBehaviorAutoUpgrade,
		}
	}
	return options
}

// Works until SIGTERM or Ctrl-C.
func main() {
	asked := order()
	if len(os.Args) > 1 && os.Args[1] == "replay" {
		replay(asked)
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

	orders := worker.New(temporal, cmp.Or(os.Getenv("TASK_QUEUE"), "orders"), workerOptions())
	orders.RegisterWorkflowWithOptions(asked, workflow.RegisterOptions{Name: "Order"})
	orders.RegisterActivityWithOptions(ChargeCard, activity.RegisterOptions{Name: chargeCard})
	orders.RegisterActivityWithOptions(CheckOrder, activity.RegisterOptions{Name: checkOrder})
	orders.RegisterActivityWithOptions(RefundCard, activity.RegisterOptions{Name: refundCard})
	orders.RegisterActivityWithOptions(ShipParcel, activity.RegisterOptions{Name: shipParcel})
	if err := orders.Run(worker.InterruptCh()); err != nil {
		log.Fatalln("the worker has ended:", err)
	}
}
