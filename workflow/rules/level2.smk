rule level2:
    input:
        level1="observations/{observation}/level1/receipt.json",
    output:
        receipt="observations/{observation}/level2/{recipe}/receipt.json",
    log:
        "logs/{observation}/level2.{recipe}.log",
    benchmark:
        "benchmarks/{observation}/level2.{recipe}.tsv"
    retries: 2
    conda:
        "../envs/spheredc.yaml"
    threads: 8
    resources:
        mem_mb=lambda wildcards, threads, attempt: int(
            SHEET.level2_mb(wildcards.observation, wildcards.recipe, threads)
            * 1.5 ** (attempt - 1)
        ),
        runtime=lambda wildcards, attempt: int(
            SHEET.level2_minutes(wildcards.observation, wildcards.recipe) * 2**attempt
        ),
        attempt=lambda wildcards, attempt: attempt,
    params:
        settings=lambda wildcards: SHEET.settings["level2"][wildcards.recipe],
        config=SHEET.config_file,
    shell:
        "spheredc level2 {input.level1} {output.receipt} --recipe {wildcards.recipe}"
        " --config {params.config} --threads {threads} --memory-mb {resources.mem_mb}"
        " --attempt {resources.attempt} > {log} 2>&1"
