# pip is pipfast in this shell; scripts and the applications of these names are what they were. Not tested.
# This comes from `pipfast shell-hook powershell`; what `pipfast shell-hook --undo powershell` prints takes it back.

# PYTHON NAME ARGUMENT...: PYTHON is looked for in the active environment.
function global:_pipfast {
    $python, $name, $rest = $args
    $rest = @($rest | Where-Object { $null -ne $_ })
    $found = $null
    $variables = @{ _PIPFAST_SHELL = 'powershell' }
    if ((Test-Path -LiteralPath @RUNNER@ -PathType Leaf) -and ($env:PIPFAST -ne 'off' -or $name -eq 'pipfast')) {
        # On Windows an environment has one Python, and no name tells its version.
        $places = "bin/$python", "Scripts\$python.exe", "$python.exe"
        foreach ($active in 'VIRTUAL_ENV', 'CONDA_PREFIX') {
            $prefix = [Environment]::GetEnvironmentVariable($active)
            foreach ($place in $places) {
                if (-not $found -and $prefix -and $rest[0] -ne 'shell-hook' -and
                    (Test-Path -LiteralPath (Join-Path $prefix $place) -PathType Leaf)) {
                    $found = Join-Path $prefix $place
                    $words = @(@RUNNER@, $name) + $rest
                    $variables._PIPFAST_WHY = "$active=$prefix"
                }
            }
        }
        if (-not $found -and $python -eq 'python' -and (Test-Path -LiteralPath @PIPFAST@ -PathType Leaf)) {
            $found = @PIPFAST@
            $words = $rest
            $variables._PIPFAST_NAME = $name
        }
    }
    if (-not $found) {
        # Or an error that there is none.
        $found = (Get-Command -Name $name -CommandType Application -TotalCount 1 -ErrorAction Stop).Source
        $words = $rest
        $variables = @{}
    }
    foreach ($each in $variables.Keys) { [Environment]::SetEnvironmentVariable($each, $variables[$each]) }
    try {
        if ($MyInvocation.ExpectingInput) { $input | & $found @words } else { & $found @words }
    }
    finally {
        foreach ($each in $variables.Keys) { [Environment]::SetEnvironmentVariable($each, $null) }
    }
}

@EACH@ function global:@NAME@ { if ($MyInvocation.ExpectingInput) { $input | _pipfast @NAME_OF_PYTHON@ @NAME@ @args } else { _pipfast @NAME_OF_PYTHON@ @NAME@ @args } }

# The words that pip prints, as in pip's own completion.
function global:_pipfast_complete($line, $cursor) {
    $typed = $line.ToString().PadRight($cursor).Substring(0, $cursor)
    $env:COMP_WORDS = $typed
    $env:COMP_CWORD = ($typed -split '\s+').Count - 1
    $env:PIP_AUTO_COMPLETE = '1'
    try {
        (& ($typed -split '\s+')[0] 2>$null) -split '\s+' | Where-Object { $_ } | ForEach-Object {
            [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
        }
    }
    finally {
        Remove-Item -Path Env:COMP_WORDS, Env:COMP_CWORD, Env:PIP_AUTO_COMPLETE
    }
}
@EACH@ Register-ArgumentCompleter -Native -CommandName @NAME@ -ScriptBlock { param($word, $line, $cursor) _pipfast_complete $line $cursor }
