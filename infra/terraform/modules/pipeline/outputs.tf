output "state_machine_arn" {
  description = "Start a run: aws stepfunctions start-execution --state-machine-arn ARN --input '{...}'."
  value       = aws_sfn_state_machine.pipeline.arn
}

output "definition" {
  description = "The state machine, as JSON."
  value       = module.definition.json
}
