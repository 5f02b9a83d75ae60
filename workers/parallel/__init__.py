"""One job on several GPUs: processes that compute it together, step by step."""
