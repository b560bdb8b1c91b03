# Every input that is refused. These runs need variables.tf alone, and no provider.

variables {
  bucket_arn          = "arn:aws:s3:::depth-artifacts"
  key_arn             = "arn:aws:kms:us-east-1:123456789012:key/k"
  repository          = { "url" : "123456789012.example/depth-serve-inf1", "arn" : "arn:aws:ecr:us-east-1:123456789012:repository/depth-serve-inf1" }
  image_tag           = "1"
  reference           = "vits/inf1/production"
  vpc_id              = "vpc-1"
  subnet_ids          = ["subnet-1", "subnet-2"]
  balancer_subnet_ids = ["subnet-3", "subnet-4"]
  client_cidrs        = ["10.0.0.0/8"]
  certificate_arn     = "arn:aws:acm:us-east-1:123456789012:certificate/c"
  metrics_image       = "cloudwatch-agent:1.300060.0"
  alarm_topic_arn     = "arn:aws:sns:us-east-1:123456789012:depth"
  monthly_budget_usd  = 500
  secret_arn          = "arn:aws:secretsmanager:us-east-1:123456789012:secret:depth"
}

run "accepted" {
  command = plan
}

run "accepted_platform_and_chip_go_together" {
  command = plan
  variables {
    platform      = "inf2"
    instance_type = "inf2.8xlarge"
  }
}

run "accepted_a_cpu" {
  command = plan
  variables {
    platform      = "cpu"
    instance_type = "c7i.2xlarge"
  }
}

run "refused_name_0" {
  command = plan
  variables {
    name = "Depth"
  }
  expect_failures = [var.name]
}

run "refused_prefix_1" {
  command = plan
  variables {
    prefix = "depth"
  }
  expect_failures = [var.prefix]
}

run "refused_image_tag_2" {
  command = plan
  variables {
    image_tag = "latest"
  }
  expect_failures = [var.image_tag]
}

run "refused_platform_3" {
  command = plan
  variables {
    platform = "gpu"
  }
  expect_failures = [var.platform]
}

run "refused_instance_type_4" {
  command = plan
  variables {
    instance_type = "g4dn.xlarge"
  }
  expect_failures = [var.instance_type]
}

run "refused_instance_type_5" {
  command = plan
  variables {
    instance_type = "inf2.xlarge"
  }
  expect_failures = [var.instance_type]
}

run "refused_instance_type_6" {
  command = plan
  variables {
    instance_type = "inf1.4xlarge"
  }
  expect_failures = [var.instance_type]
}

run "refused_instance_type_7" {
  command = plan
  variables {
    instance_type = "c7i.xlarge"
  }
  expect_failures = [var.instance_type]
}

run "refused_reference_8" {
  command = plan
  variables {
    reference = "0123456789ab"
  }
  expect_failures = [var.reference]
}

run "refused_reference_9" {
  command = plan
  variables {
    reference = "Vits/inf1"
  }
  expect_failures = [var.reference]
}

run "refused_subnet_ids_10" {
  command = plan
  variables {
    subnet_ids = ["subnet-1"]
  }
  expect_failures = [var.subnet_ids]
}

run "refused_balancer_subnet_ids_11" {
  command = plan
  variables {
    balancer_subnet_ids = ["subnet-1"]
  }
  expect_failures = [var.balancer_subnet_ids]
}

run "refused_client_cidrs_12" {
  command = plan
  variables {
    client_cidrs = []
  }
  expect_failures = [var.client_cidrs]
}

run "refused_client_cidrs_13" {
  command = plan
  variables {
    client_cidrs = ["everybody"]
  }
  expect_failures = [var.client_cidrs]
}

run "refused_certificate_arn_14" {
  command = plan
  variables {
    certificate_arn = "none"
  }
  expect_failures = [var.certificate_arn]
}

run "refused_min_instances_15" {
  command = plan
  variables {
    min_instances = 0
  }
  expect_failures = [var.min_instances]
}

run "refused_max_instances_16" {
  command = plan
  variables {
    max_instances = 2
  }
  expect_failures = [var.max_instances]
}

run "refused_max_instances_17" {
  command = plan
  variables {
    max_instances = 101
  }
  expect_failures = [var.max_instances]
}

run "refused_queue_per_core_18" {
  command = plan
  variables {
    queue_per_core = 0
  }
  expect_failures = [var.queue_per_core]
}

run "refused_queue_per_core_19" {
  command = plan
  variables {
    queue_per_core = 20
  }
  expect_failures = [var.queue_per_core]
}

run "refused_metrics_image_20" {
  command = plan
  variables {
    metrics_image = "cloudwatch-agent"
  }
  expect_failures = [var.metrics_image]
}

run "refused_metrics_image_21" {
  command = plan
  variables {
    metrics_image = "cloudwatch-agent:latest"
  }
  expect_failures = [var.metrics_image]
}

run "refused_monthly_budget_usd_22" {
  command = plan
  variables {
    monthly_budget_usd = 0
  }
  expect_failures = [var.monthly_budget_usd]
}

run "refused_log_days_23" {
  command = plan
  variables {
    log_days = 30
  }
  expect_failures = [var.log_days]
}
