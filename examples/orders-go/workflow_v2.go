package main

import "go.temporal.io/sdk/workflow"

// checked is the change of version 2: orders are checked for fraud.
const checked = "orders are checked for fraud"

// OrderV2 checks the order when the card is charged, before it ships. What version 1 has begun goes on as it began.
func OrderV2(ctx workflow.Context, order OrderInput) (Receipt, error) {
	return checkedOrder(ctx, order, func(ctx workflow.Context) bool {
		return workflow.GetVersion(ctx, checked, workflow.DefaultVersion, 1) == 1
	})
}

// OrderUnpatched is version 2 without GetVersion: the mistake for which a deploy is tested.
func OrderUnpatched(ctx workflow.Context, order OrderInput) (Receipt, error) {
	return checkedOrder(ctx, order, func(workflow.Context) bool { return true })
}

func checkedOrder(ctx workflow.Context, order OrderInput, isChecked func(workflow.Context) bool) (Receipt, error) {
	ctx = workflow.WithActivityOptions(ctx, activityOptions())
	var receipt Receipt
	if err := workflow.ExecuteActivity(ctx, chargeCard, order).Get(ctx, &receipt.ChargeID); err != nil {
		return Receipt{}, err
	}
	if isChecked(ctx) {
		if err := workflow.ExecuteActivity(ctx, checkOrder, order).Get(ctx, nil); err != nil {
			return Receipt{}, paidBack(ctx, order, err)
		}
	}
	if err := workflow.ExecuteActivity(ctx, shipParcel, order).Get(ctx, &receipt.ParcelID); err != nil {
		return Receipt{}, paidBack(ctx, order, err)
	}
	return receipt, nil
}
