rule calibrate:
    input:
        job=lambda wildcards: SHEET.calibration_job(wildcards.kind, wildcards.key),
        upstream=lambda wildcards: SHEET.calibration_upstream(
            wildcards.kind, wildcards.key
        ),
    output:
        receipt="calibrations/{kind}/{key}/receipt.json",
    log:
        "logs/calibrations/{kind}.{key}.log",
    benchmark:
        "benchmarks/calibrations/{kind}.{key}.tsv"
    retries: 2
    conda:
        "../envs/spheredc.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: int(
            SHEET.calibration_mb(wildcards.kind, wildcards.key) * 1.5 ** (attempt - 1)
        ),
        runtime=lambda wildcards, attempt: int(
            SHEET.calibration_minutes(wildcards.kind, wildcards.key) * 2**attempt
        ),
        attempt=lambda wildcards, attempt: attempt,
    params:
        settings=lambda wildcards: SHEET.settings["calibration"][wildcards.kind],
        config=SHEET.config_file,
    shell:
        "spheredc calibrate {input.job} {output.receipt} --config {params.config}"
        " --threads {threads} --attempt {resources.attempt} > {log} 2>&1"
