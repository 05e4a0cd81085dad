"""An order: the card is charged, the parcel is shipped; what cannot be shipped is paid back."""
