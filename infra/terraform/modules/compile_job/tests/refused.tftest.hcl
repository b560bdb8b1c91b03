# Every input that is refused. These runs need variables.tf alone, and no provider.

variables {
  bucket_arn = "arn:aws:s3:::depth-artifacts"
  key_arn    = "arn:aws:kms:us-east-1:123456789012:key/k"
  repository = { "url" : "123456789012.example/depth-compile", "arn" : "arn:aws:ecr:us-east-1:123456789012:repository/depth-compile" }
  image_tag  = "1"
  subnet_ids = ["subnet-1"]
  vpc_id     = "vpc-1"
  secret_arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:depth"
}

run "accepted" {
  command = plan
}

run "accepted_inf2" {
  command = plan
  variables {
    device_instance_type = "inf2.xlarge"
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

run "refused_prefix_2" {
  command = plan
  variables {
    prefix = "/depth/"
  }
  expect_failures = [var.prefix]
}

run "refused_image_tag_3" {
  command = plan
  variables {
    image_tag = "latest"
  }
  expect_failures = [var.image_tag]
}

run "refused_image_tag_4" {
  command = plan
  variables {
    image_tag = "a b"
  }
  expect_failures = [var.image_tag]
}

run "refused_compile_instance_types_5" {
  command = plan
  variables {
    compile_instance_types = ["c5.2xlarge"]
  }
  expect_failures = [var.compile_instance_types]
}

run "refused_compile_instance_types_6" {
  command = plan
  variables {
    compile_instance_types = ["g5.4xlarge"]
  }
  expect_failures = [var.compile_instance_types]
}

run "refused_compile_instance_types_7" {
  command = plan
  variables {
    compile_instance_types = []
  }
  expect_failures = [var.compile_instance_types]
}

run "refused_device_instance_type_8" {
  command = plan
  variables {
    device_instance_type = "c5.xlarge"
  }
  expect_failures = [var.device_instance_type]
}

run "refused_device_instance_type_9" {
  command = plan
  variables {
    device_instance_type = "inf1.4xlarge"
  }
  expect_failures = [var.device_instance_type]
}

run "refused_device_instance_type_10" {
  command = plan
  variables {
    device_instance_type = "trn1.2xlarge"
  }
  expect_failures = [var.device_instance_type]
}

run "refused_subnet_ids_11" {
  command = plan
  variables {
    subnet_ids = []
  }
  expect_failures = [var.subnet_ids]
}

run "refused_max_vcpus_12" {
  command = plan
  variables {
    max_vcpus = 8
  }
  expect_failures = [var.max_vcpus]
}

run "refused_max_vcpus_13" {
  command = plan
  variables {
    max_vcpus = 1000
  }
  expect_failures = [var.max_vcpus]
}

run "refused_timeout_s_14" {
  command = plan
  variables {
    timeout_s = 60
  }
  expect_failures = [var.timeout_s]
}

run "refused_timeout_s_15" {
  command = plan
  variables {
    timeout_s = 1000000
  }
  expect_failures = [var.timeout_s]
}

run "refused_log_days_16" {
  command = plan
  variables {
    log_days = 30
  }
  expect_failures = [var.log_days]
}
