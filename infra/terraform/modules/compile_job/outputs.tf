output "job_definitions" {
  description = "By step: the ARN of the job definition."
  value       = { for step, job in aws_batch_job_definition.job : step => job.arn }
}

output "queues" {
  description = "By step: the ARN of its queue."
  value       = { for step, job in local.jobs : step => aws_batch_job_queue.jobs[job.queue].arn }
}

output "quota" {
  description = "What to ask AWS for, before the first job."
  value       = "EC2 quota 'Running On-Demand Inf instances': ${local.instance.vcpus} vCPUs or more in ${data.aws_region.current.name}. New accounts may have 0."
}
