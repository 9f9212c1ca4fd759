DESCRIBED = [
    f"PATCH /api/{one}/" for one in ("plans/<row:plan_id>", "payments/<row:payment_id>", "refunds/<row:refund_id>")
]
"""The routes that change metadata."""
