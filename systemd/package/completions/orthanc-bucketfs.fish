# Completion of orthanc-bucketfs for fish. Commands and flags are those that the
# program itself names.

function __orthanc_bucketfs_commands
    orthanc-bucketfs help 2>/dev/null | sed -n '/^Commands:/,/^$/s/^  \([a-z-]*\).*/\1/p'
end

function __orthanc_bucketfs_flags
    orthanc-bucketfs help (commandline -opc)[2] 2>/dev/null | sed -n 's/^  \(--[a-z-]*\).*/\1/p'
end

function __orthanc_bucketfs_first
    test (count (commandline -opc)) -eq 1
end

complete -c orthanc-bucketfs -n __orthanc_bucketfs_first -f -a '(__orthanc_bucketfs_commands)'
complete -c orthanc-bucketfs -n '__fish_seen_subcommand_from help' -f -a '(__orthanc_bucketfs_commands)'
complete -c orthanc-bucketfs -n 'not __orthanc_bucketfs_first; and string match -q -- "-*" (commandline -ct)' -f -a '(__orthanc_bucketfs_flags)'
