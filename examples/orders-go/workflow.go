package main

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// The activities' names on record.
const (
	chargeCard = "charge_card"
	refundCard = "refund_card"
	shipParcel = "ship_parcel"
	checkOrder = "check_order"
)

// OrderInput is what a customer buys, and where it goes.
type OrderInput struct {
	OrderID     string `json:"order_id"`
	AmountCents int    `json:"amount_cents"`
	Address     string `json:"address"`
}

// Receipt is what the customer gets.
type Receipt struct {
	ChargeID string `json:"charge_id"`
	ParcelID string `json:"parcel_id"`
}

// Order charges the card, then ships. It fails where nothing could be shipped.
func Order(ctx workflow.Context, order OrderInput) (Receipt, error) {
	ctx = workflow.WithActivityOptions(ctx, activityOptions())
	var receipt Receipt
	if err := workflow.ExecuteActivity(ctx, chargeCard, order).Get(ctx, &receipt.ChargeID); err != nil {
		return Receipt{}, err
	}
	if err := workflow.ExecuteActivity(ctx, shipParcel, order).Get(ctx, &receipt.ParcelID); err != nil {
		return Receipt{}, paidBack(ctx, order, err)
	}
	return receipt, nil
}

func activityOptions() workflow.ActivityOptions {
	return workflow.ActivityOptions{
		StartToCloseTimeout: time.Minute,
		HeartbeatTimeout:    15 * time.Second,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: 3 * time.Second, MaximumAttempts: 5},
	}
}

// paidBack gives the money back, even where the order was cancelled; it is what the workflow fails with.
func paidBack(ctx workflow.Context, order OrderInput, cause error) error {
	ctx, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	if err := workflow.ExecuteActivity(ctx, refundCard, order).Get(ctx, nil); err != nil {
		return err
	}
	return temporal.NewApplicationErrorWithCause("it could not be shipped, and was paid back", "", cause)
}
