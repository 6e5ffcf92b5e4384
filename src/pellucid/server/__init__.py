"""The page for the browser and the HTTP API; `pellucid serve` starts them."""
