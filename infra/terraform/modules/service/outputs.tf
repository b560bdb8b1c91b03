output "url" {
  description = "Where the service answers; give the certificate's name to this address in your DNS."
  value       = "https://${aws_lb.service.dns_name}"
}

output "cluster_arn" {
  description = "For module pipeline."
  value       = aws_ecs_cluster.service.arn
}

output "services" {
  description = "By chip: the ARN of the ECS service."
  value       = { for chip, service in aws_ecs_service.serve : chip => service.id }
}

output "quota" {
  description = "What to ask AWS for, before the first apply."
  value = var.platform == "cpu" ? "none beside the usual" : join(" ", [
    "EC2 quota 'Running On-Demand Inf instances': ${var.max_instances * local.instance.vcpus} vCPUs.",
    var.spot ? "'All Inf Spot Instance Requests' is 0 by default: ${(var.max_instances - var.min_instances) * local.instance.vcpus} vCPUs." : "",
  ])
}
