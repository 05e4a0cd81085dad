package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
)

const (
	heartbeatEvery = time.Second
	deadline       = 10 * time.Second
)

// ChargeCard takes the money; it returns the charge's id.
func ChargeCard(ctx context.Context, order OrderInput) (string, error) {
	return ask(ctx, "PAYMENTS_URL", "charges", order, "charge-"+order.OrderID)
}

// RefundCard gives it back; it returns the refund's id.
func RefundCard(ctx context.Context, order OrderInput) (string, error) {
	return ask(ctx, "PAYMENTS_URL", "refunds", order, "refund-"+order.OrderID)
}

// CheckOrder refuses an order that no honest customer makes. Since version 2.
func CheckOrder(_ context.Context, order OrderInput) (string, error) {
	if order.AmountCents <= 0 {
		return "", temporal.NewNonRetryableApplicationError("that is no price", "", nil)
	}
	return order.OrderID, nil
}

// ShipParcel hands the parcel over; it returns its id.
func ShipParcel(ctx context.Context, order OrderInput) (string, error) {
	return ask(ctx, "CARRIER_URL", "parcels", order, "parcel-"+order.OrderID)
}

// ask asks for a thing once: who is asked again with the same key answers as before.
func ask(ctx context.Context, service, thing string, order OrderInput, key string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	go heartbeat(ctx)

	body, err := json.Marshal(map[string]any{"order_id": order.OrderID, "amount_cents": order.AmountCents})
	if err != nil {
		return "", err
	}
	request, err := http.NewRequestWithContext(
		ctx, http.MethodPost, os.Getenv(service)+"/"+thing, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	return answer(thing, response)
}

// answer reads the id of what was asked for.
func answer(thing string, response *http.Response) (string, error) {
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	refused := response.StatusCode >= 400 && response.StatusCode < 500
	if refused && response.StatusCode != http.StatusTooManyRequests {
		return "", temporal.NewNonRetryableApplicationError(
			fmt.Sprintf("%s were refused: %s", thing, text), "Refused", nil)
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", thing, response.Status)
	}
	var made struct{ ID string }
	if err := json.Unmarshal(text, &made); err != nil {
		return "", err
	}
	return made.ID, nil
}

// heartbeat tells the server that this worker lives, so that it is soon known when it does not.
func heartbeat(ctx context.Context) {
	ticker := time.NewTicker(heartbeatEvery)
	defer ticker.Stop()
	for {
		activity.RecordHeartbeat(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
