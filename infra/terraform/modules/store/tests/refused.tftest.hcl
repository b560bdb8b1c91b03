# Every input that is refused. These runs need variables.tf alone, and no provider.

variables {
  bucket = "depth-artifacts"
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

run "refused_name_1" {
  command = plan
  variables {
    name = "d"
  }
  expect_failures = [var.name]
}

run "refused_bucket_2" {
  command = plan
  variables {
    bucket = "My.Bucket"
  }
  expect_failures = [var.bucket]
}

run "refused_bucket_3" {
  command = plan
  variables {
    bucket = "ab"
  }
  expect_failures = [var.bucket]
}

run "refused_images_4" {
  command = plan
  variables {
    images = []
  }
  expect_failures = [var.images]
}

run "refused_old_versions_days_5" {
  command = plan
  variables {
    old_versions_days = 0
  }
  expect_failures = [var.old_versions_days]
}

run "refused_old_versions_days_6" {
  command = plan
  variables {
    old_versions_days = 4000
  }
  expect_failures = [var.old_versions_days]
}
