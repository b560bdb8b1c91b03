output "bucket" {
  description = "Name of the bucket: s3://BUCKET/PREFIX is the store."
  value       = aws_s3_bucket.artifacts.id
}

output "bucket_arn" {
  description = "For the roles of the other modules."
  value       = aws_s3_bucket.artifacts.arn
}

output "key_arn" {
  description = "The key that encrypts artifacts, images and logs."
  value       = aws_kms_key.store.arn
}

output "repositories" {
  description = "By image: the repository's address and ARN."
  value       = { for name, repository in aws_ecr_repository.image : name => { url = repository.repository_url, arn = repository.arn } }
}
