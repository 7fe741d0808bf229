"""The deliverer, from a doorbell to a receiver."""
