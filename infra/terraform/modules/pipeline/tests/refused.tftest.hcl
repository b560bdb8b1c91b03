# Every input that is refused. These runs need variables.tf alone, and no provider.

variables {
  job_definitions = { "compile" : "arn:aws:batch:us-east-1:123456789012:job-definition/depth-compile", "parity" : "arn:aws:batch:us-east-1:123456789012:job-definition/depth-parity", "remember" : "arn:aws:batch:us-east-1:123456789012:job-definition/depth-remember", "promote" : "arn:aws:batch:us-east-1:123456789012:job-definition/depth-promote", "smoke" : "arn:aws:batch:us-east-1:123456789012:job-definition/depth-smoke", "rollback" : "arn:aws:batch:us-east-1:123456789012:job-definition/depth-rollback" }
  queues          = { "compile" : "arn:aws:batch:us-east-1:123456789012:job-queue/depth-compile", "parity" : "arn:aws:batch:us-east-1:123456789012:job-queue/depth-compile", "remember" : "arn:aws:batch:us-east-1:123456789012:job-queue/depth-compile", "promote" : "arn:aws:batch:us-east-1:123456789012:job-queue/depth-compile", "smoke" : "arn:aws:batch:us-east-1:123456789012:job-queue/depth-compile", "rollback" : "arn:aws:batch:us-east-1:123456789012:job-queue/depth-compile" }
  cluster_arn     = "arn:aws:ecs:us-east-1:123456789012:cluster/depth"
  services        = { "0" : "arn:aws:ecs:us-east-1:123456789012:service/depth/depth-0" }
  url             = "https://depth.example"
  store           = "s3://depth-artifacts/depth"
  key_arn         = "arn:aws:kms:us-east-1:123456789012:key/k"
}

run "accepted" {
  command = plan
}

run "refused_name_0" {
  command = plan
  variables {
    name = "Depth"
  }
  expect_failures = [var.name]
}

run "refused_job_definitions_1" {
  command = plan
  variables {
    job_definitions = { "compile" : "arn:aws:batch:us-east-1:123456789012:job-definition/x" }
  }
  expect_failures = [var.job_definitions]
}

run "refused_queues_2" {
  command = plan
  variables {
    queues = {}
  }
  expect_failures = [var.queues]
}

run "refused_services_3" {
  command = plan
  variables {
    services = {}
  }
  expect_failures = [var.services]
}

run "refused_url_4" {
  command = plan
  variables {
    url = "http://depth.example"
  }
  expect_failures = [var.url]
}

run "refused_store_5" {
  command = plan
  variables {
    store = "depth"
  }
  expect_failures = [var.store]
}

run "refused_store_6" {
  command = plan
  variables {
    store = "s3://depth-artifacts/"
  }
  expect_failures = [var.store]
}

run "refused_log_days_7" {
  command = plan
  variables {
    log_days = 30
  }
  expect_failures = [var.log_days]
}
