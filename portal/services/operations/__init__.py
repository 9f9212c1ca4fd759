"""Acts of operators: approval, deactivation, release of refunds; setup of an installation; the end of a business."""
