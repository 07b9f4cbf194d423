# Another pipfast has been installed: it writes this file again.
if (-not (Test-Path -LiteralPath @SIGN@) -and (Test-Path -LiteralPath @PIPFAST@)) {
    & @PIPFAST@ shell-hook --save powershell | Out-Null
    if ($LASTEXITCODE -eq 0) { . @FILE@; return }
}
