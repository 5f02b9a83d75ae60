-- Drops the record of a job whose files are gone. ARGV: id, tenant.
forget(ARGV[1], ARGV[2])
