rule level1:
    input:
        association=lambda wildcards: SHEET.association(wildcards.observation),
        calibrations=lambda wildcards: SHEET.observation_calibrations(
            wildcards.observation
        ),
    output:
        receipt="observations/{observation}/level1/receipt.json",
    log:
        "logs/{observation}/level1.log",
    benchmark:
        "benchmarks/{observation}/level1.tsv"
    retries: 2
    conda:
        "../envs/spheredc.yaml"
    threads: 8
    resources:
        mem_mb=lambda wildcards, attempt: int(
            SHEET.level1_mb(wildcards.observation) * 1.5 ** (attempt - 1)
        ),
        runtime=lambda wildcards, attempt: int(
            SHEET.level1_minutes(wildcards.observation) * 2**attempt
        ),
        attempt=lambda wildcards, attempt: attempt,
    params:
        settings=lambda wildcards: SHEET.level1_settings(wildcards.observation),
        config=SHEET.config_file,
    shell:
        "spheredc level1 {input.association} {output.receipt} --config {params.config}"
        " --threads {threads} --attempt {resources.attempt} > {log} 2>&1"
