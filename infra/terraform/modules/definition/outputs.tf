output "json" {
  description = "The state machine, as JSON."
  value       = local.definition
}
